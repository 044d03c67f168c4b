//! What a mail is made of, whatever an order says.

mod golden;
mod hostile;
