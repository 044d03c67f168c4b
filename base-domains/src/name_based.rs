//! Name-based identifiers (UUID version 5): the same parts give the same id, in every process, forever.

use std::fmt::Write;

use uuid::Uuid;

/// The namespace of every id made here. Changing it would give a repeated request a second order.
const NAMESPACE: Uuid = Uuid::from_u128(0x5d2f_6c1e_93b4_4a07_8e5d_71c0_a4f2_b936);

/// The id of `parts` among the ids of one `kind`.
///
/// Each part is written as `<length in bytes>:<text>,` and a missing one as `-,`, so no two lists of
/// parts share a name: (`a`, `bc`) is not (`ab`, `c`), and a missing part is not an empty one.
pub(crate) fn name_based(kind: &str, parts: &[Option<&str>]) -> Uuid {
    let mut name = String::new();
    for part in std::iter::once(&Some(kind)).chain(parts) {
        match part {
            // Writing to a String cannot fail.
            Some(text) => write!(name, "{}:{text},", text.len()).unwrap_or_default(),
            None => name.push_str("-,"),
        }
    }
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}
