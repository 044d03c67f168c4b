//! Text of multi-row statements with `$n` placeholders, which both databases read.
//!
//! sqlx keeps a statement prepared by its text, 100 per connection. Rounding the number of rows up
//! with [`pad`] keeps the texts of one statement to the powers of two.

use std::fmt::Write;

/// Most parameters of one statement (SQLite's limit; PostgreSQL's is 65 535).
pub const MAX_PARAMETERS: usize = 32_766;

/// The rows of a `VALUES` list: `rows(2, &["TEXT", "BIGINT"], 3)` is
/// `(CAST($3 AS TEXT),CAST($4 AS BIGINT)),(CAST($5 AS TEXT),CAST($6 AS BIGINT))`.
///
/// PostgreSQL needs the casts to know the types. `first` is the number of the first placeholder.
pub fn rows(n: usize, types: &[&str], first: usize) -> String {
    let mut text = String::with_capacity(n * types.len() * 24);
    let mut number = first;
    for row in 0..n {
        text.push_str(if row == 0 { "(" } else { ",(" });
        for (column, name) in types.iter().enumerate() {
            let comma = if column == 0 { "" } else { "," };
            // Writing to a String cannot fail.
            write!(text, "{comma}CAST(${number} AS {name})").unwrap_or_default();
            number += 1;
        }
        text.push(')');
    }
    text
}

/// `n` placeholders, for an `IN` list: `placeholders(3, 2)` is `$2,$3,$4`.
pub fn placeholders(n: usize, first: usize) -> String {
    let mut text = String::with_capacity(n * 6);
    for number in first..first + n {
        let comma = if number == first { "" } else { "," };
        write!(text, "{comma}${number}").unwrap_or_default();
    }
    text
}

/// Repeats the last item until the length is a power of two.
///
/// Only where a repeated row changes nothing: `IN` lists, `ON CONFLICT DO NOTHING`, and updates
/// that *set* values from a `VALUES` list. Not with `ON CONFLICT DO UPDATE`.
pub fn pad<T: Clone>(items: &mut Vec<T>) {
    if let Some(last) = items.last().cloned() {
        items.resize(items.len().next_power_of_two(), last);
    }
}

/// Most rows of `columns` parameters each in one statement: a power of two, so that a [`pad`]ded
/// chunk fits as well.
pub const fn max_rows(columns: usize) -> usize {
    let most = MAX_PARAMETERS / columns;
    1 << most.ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_numbered_from_the_first_placeholder_and_cast() {
        assert_eq!(rows(1, &["TEXT"], 1), "(CAST($1 AS TEXT))");
        assert_eq!(
            rows(2, &["TEXT", "BIGINT"], 3),
            "(CAST($3 AS TEXT),CAST($4 AS BIGINT)),(CAST($5 AS TEXT),CAST($6 AS BIGINT))"
        );
        assert_eq!(rows(0, &["TEXT"], 1), "");
    }

    #[test]
    fn placeholders_are_numbered_from_the_first() {
        assert_eq!(placeholders(3, 2), "$2,$3,$4");
        assert_eq!(placeholders(0, 1), "");
    }

    #[test]
    fn padding_repeats_the_last_item_up_to_a_power_of_two() {
        for (given, length) in [(0, 0), (1, 1), (2, 2), (3, 4), (5, 8), (500, 512)] {
            let mut items: Vec<usize> = (0..given).collect();
            pad(&mut items);
            assert_eq!(items.len(), length);
            assert!(items.iter().skip(given).all(|item| *item == given - 1));
        }
    }

    #[test]
    fn a_padded_chunk_stays_within_the_limit() {
        assert_eq!(max_rows(1), 16_384);
        assert_eq!(max_rows(8), 2_048);
        for columns in 1..100 {
            assert!(max_rows(columns) * columns <= MAX_PARAMETERS);
        }
    }
}
