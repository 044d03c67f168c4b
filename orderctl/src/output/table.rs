//! Tables: columns as wide as their widest cell.

use std::io::Write as _;

use tabwriter::TabWriter;

/// Rows under a header.
#[derive(Debug, Default)]
pub struct Table {
    lines: Vec<String>,
}

impl Table {
    /// A table with these columns.
    #[must_use]
    pub fn new(columns: &[&str]) -> Self {
        Self {
            lines: vec![columns.join("\t")],
        }
    }

    /// Adds a row. A tab or a line break in a cell becomes a space.
    pub fn row<const COLUMNS: usize>(&mut self, cells: [String; COLUMNS]) {
        let cells = cells.map(|cell| match cell.is_empty() {
            true => "-".to_owned(),
            false => cell.replace(['\t', '\n'], " "),
        });
        self.lines.push(cells.join("\t"));
    }

    /// The text; only the header when there is no row.
    #[must_use]
    pub fn text(&self) -> String {
        let mut writer = TabWriter::new(Vec::new()).padding(2);
        let plain = format!("{}\n", self.lines.join("\n"));
        let aligned = writer
            .write_all(plain.as_bytes())
            .and_then(|()| writer.flush())
            .ok()
            .and_then(|()| writer.into_inner().ok())
            .and_then(|bytes| String::from_utf8(bytes).ok());
        aligned.unwrap_or(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["NAME", "PIECES"]);
        table.row(["本".to_owned(), "5".to_owned()]);
        table.row(["book\torder".to_owned(), String::new()]);
        assert_eq!(
            table.text(),
            "NAME        PIECES\n本          5\nbook order  -\n"
        );
    }
}
