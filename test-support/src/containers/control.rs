//! What can be done to a server in a container from outside: the same to each.

use super::{Kafka, KafkaBehind, Mailpit, PostgresServer};

/// Methods of servers that have a field `container`.
macro_rules! control {
    ($($server:ident),+) => {$(
        impl $server {
            /// Stops it, as an operator does. What it has stays.
            ///
            /// # Errors
            /// The engine does not do it.
            pub fn stop(&self) -> Result<(), String> {
                self.container.stop()
            }

            /// Ends it by SIGKILL. What it wrote stays, as the machine goes on.
            ///
            /// # Errors
            /// The engine does not do it.
            pub fn kill(&self) -> Result<(), String> {
                self.container.kill()
            }

            /// Freezes it.
            ///
            /// # Errors
            /// The engine does not do it.
            pub fn freeze(&self) -> Result<(), String> {
                self.container.freeze()
            }

            /// Lets a frozen one go on.
            ///
            /// # Errors
            /// The engine does not do it.
            pub fn thaw(&self) -> Result<(), String> {
                self.container.thaw()
            }

            /// Starts it again after a stop or a kill, without waiting until it is there. Its address is the same
            /// if it was started for that.
            ///
            /// # Errors
            /// The engine does not do it.
            pub fn start_again(&self) -> Result<(), String> {
                self.container.start_again()
            }
        }
    )+};
}

control!(Kafka, KafkaBehind, Mailpit, PostgresServer);
