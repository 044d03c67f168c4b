//! The two bodies of a mail. Templates are compiled in, so no text of an order can become one, and
//! every value is escaped in HTML.

#![expect(
    clippy::let_underscore_must_use,
    reason = "in the code that askama derives"
)]

use askama::Template;
use base_domains::{OrderStatus, reason};

use crate::mail::Mail;
use crate::text::one_line;

/// What the templates show.
#[derive(Debug)]
pub(crate) struct View {
    subject: String,
    order_id: String,
    lines: Vec<Line>,
    more_lines: usize,
    total: Option<String>,
    reason: Option<String>,
}

#[derive(Debug)]
struct Line {
    name: String,
    qty: i64,
    price: String,
}

/// A rendered mail.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bodies {
    pub(crate) text: String,
    pub(crate) html: String,
}

#[derive(Template)]
enum Text<'a> {
    #[template(path = "pending.txt")]
    Pending { view: &'a View },
    #[template(path = "reserved.txt")]
    Reserved { view: &'a View },
    #[template(path = "paid.txt")]
    Paid { view: &'a View },
    #[template(path = "shipped.txt")]
    Shipped { view: &'a View },
    #[template(path = "rejected.txt")]
    Rejected { view: &'a View },
    #[template(path = "cancelled.txt")]
    Cancelled { view: &'a View },
}

#[derive(Template)]
enum Html<'a> {
    #[template(path = "pending.html")]
    Pending { view: &'a View },
    #[template(path = "reserved.html")]
    Reserved { view: &'a View },
    #[template(path = "paid.html")]
    Paid { view: &'a View },
    #[template(path = "shipped.html")]
    Shipped { view: &'a View },
    #[template(path = "rejected.html")]
    Rejected { view: &'a View },
    #[template(path = "cancelled.html")]
    Cancelled { view: &'a View },
}

/// Renders both bodies.
///
/// # Errors
/// When a template cannot be written, which is a defect.
pub(crate) fn render(mail: &Mail) -> Result<Bodies, askama::Error> {
    let view = &View::new(mail);
    let (text, html) = match mail.status {
        OrderStatus::Pending => (Text::Pending { view }, Html::Pending { view }),
        OrderStatus::Reserved => (Text::Reserved { view }, Html::Reserved { view }),
        OrderStatus::Paid => (Text::Paid { view }, Html::Paid { view }),
        OrderStatus::Shipped => (Text::Shipped { view }, Html::Shipped { view }),
        OrderStatus::Rejected => (Text::Rejected { view }, Html::Rejected { view }),
        OrderStatus::Cancelled => (Text::Cancelled { view }, Html::Cancelled { view }),
    };
    Ok(Bodies {
        text: text.render()?,
        html: html.render()?,
    })
}

impl View {
    fn new(mail: &Mail) -> Self {
        let lines = mail.lines.iter().map(|line| Line {
            name: one_line(&line.name),
            qty: line.qty,
            price: one_line(&line.price),
        });
        Self {
            subject: mail.subject(),
            order_id: mail.order_id.to_string(),
            lines: lines.collect(),
            more_lines: mail.more_lines,
            total: mail.total.as_deref().map(one_line),
            reason: mail.reason.as_deref().map(in_words),
        }
    }
}

/// A reason as a sentence; one of a later version is shown as it is.
fn in_words(reason: &str) -> String {
    match reason {
        reason::OUT_OF_STOCK => "We do not have as many pieces in stock as you ordered.".into(),
        reason::UNKNOWN_PRODUCT => "We do not sell one of the products.".into(),
        reason::INVALID_ORDER => "Something in the order is not right, see its lines below.".into(),
        reason::PAYMENT_DECLINED => "The payment was declined.".into(),
        reason::CANCELLED_ON_REQUEST => "You asked for it.".into(),
        reason::DEADLINE => "It could not be completed in time.".into(),
        other => one_line(other),
    }
}
