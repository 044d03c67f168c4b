//! The products that a new database starts with: a TOML file, checked as a whole.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;

use toml::{Table, Value};

use crate::level::MAX_AVAILABLE;
use crate::product::check_name;

const BUILT_IN: &str = include_str!("../catalogue.toml");

/// Valid products with the pieces they start with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalogue {
    products: BTreeMap<String, i64>,
}

/// Everything that is wrong with a catalogue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the catalogue cannot be used: {}", problems.join("; "))]
pub struct CatalogueError {
    /// One problem each.
    pub problems: Vec<String>,
}

impl Catalogue {
    /// The catalogue that is part of the program.
    ///
    /// # Errors
    /// None in a tested build.
    pub fn built_in() -> Result<Self, CatalogueError> {
        Self::parse(BUILT_IN)
    }

    /// Reads the catalogue in the file `path`.
    ///
    /// # Errors
    /// The file cannot be read, or every problem of what is in it.
    pub fn read(path: &Path) -> Result<Self, CatalogueError> {
        let text = std::fs::read_to_string(path).map_err(|error| CatalogueError {
            problems: vec![format!("{}: {error}", path.display())],
        })?;
        Self::parse(&text)
    }

    /// Reads a catalogue of `[[product]]` tables with `name` and `available`.
    ///
    /// # Errors
    /// Every problem at once; if it is not TOML, only that.
    pub fn parse(text: &str) -> Result<Self, CatalogueError> {
        let mut reading = Reading::default();
        match text.parse::<Table>() {
            Ok(table) => reading.catalogue(&table),
            Err(error) => reading.problems.push(error.to_string().trim().to_owned()),
        }
        match reading.problems.is_empty() {
            true => Ok(Self {
                products: reading.products,
            }),
            false => Err(CatalogueError {
                problems: reading.problems,
            }),
        }
    }

    /// Pieces by product.
    #[must_use]
    pub const fn products(&self) -> &BTreeMap<String, i64> {
        &self.products
    }
}

#[derive(Default)]
struct Reading {
    products: BTreeMap<String, i64>,
    problems: Vec<String>,
}

impl Reading {
    fn catalogue(&mut self, table: &Table) {
        for (key, value) in table {
            match (key.as_str(), value.as_array()) {
                ("product", Some(products)) => {
                    for (index, product) in products.iter().enumerate() {
                        self.product(&format!("product[{index}]"), product);
                    }
                }
                ("product", None) => self.problem(key, "must be written as [[product]]"),
                _ => self.problem(key, "is not known"),
            }
        }
    }

    fn product(&mut self, place: &str, value: &Value) {
        let Some(table) = value.as_table() else {
            return self.problem(place, "must be a table with name and available");
        };
        for key in table.keys() {
            if !["name", "available"].contains(&key.as_str()) {
                self.problem(format!("{place}.{key}"), "is not known");
            }
        }
        let name = table.get("name").and_then(Value::as_str);
        let name = name.ok_or_else(|| "must be a text".to_owned());
        let name = name
            .and_then(check_name)
            .map_err(|problem| self.problem(format!("{place}.name"), problem));
        let available = table.get("available").and_then(Value::as_integer);
        let available = available.filter(|pieces| (0..=MAX_AVAILABLE).contains(pieces));
        if available.is_none() {
            let rule = format!("must be a whole number from 0 to {MAX_AVAILABLE}");
            self.problem(format!("{place}.available"), rule);
        }
        if let Ok(name) = name
            && self
                .products
                .insert(name, available.unwrap_or_default())
                .is_some()
        {
            self.problem(format!("{place}.name"), "is there twice");
        }
    }

    fn problem(&mut self, place: impl Display, problem: impl Display) {
        self.problems.push(format!("{place} {problem}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_catalogue_has_the_tutorials_book_and_one_that_is_sold_out() {
        let catalogue = Catalogue::built_in().unwrap();
        assert_eq!(catalogue.products()["book order"], 1000);
        assert_eq!(catalogue.products()["sold out book"], 0);
    }

    #[test]
    fn a_catalogue_may_be_empty() {
        assert_eq!(Catalogue::parse(""), Ok(Catalogue::default()));
    }

    #[test]
    fn every_problem_of_a_catalogue_is_named() {
        let text = r#"
            products = 1
            [[product]]
            name = " "
            available = -1
            [[product]]
            name = "pen"
            available = 1.5
            color = "blue"
            [[product]]
            available = 1000000001
            [[product]]
            name = " pen"
            available = 3
        "#;
        let number = "must be a whole number from 0 to 1000000000";
        let mut problems = Catalogue::parse(text).unwrap_err().problems;
        problems.sort();
        assert_eq!(
            problems,
            [
                format!("product[0].available {number}"),
                "product[0].name must have 1 to 200 characters".to_owned(),
                format!("product[1].available {number}"),
                "product[1].color is not known".to_owned(),
                format!("product[2].available {number}"),
                "product[2].name must be a text".to_owned(),
                "product[3].name is there twice".to_owned(),
                "products is not known".to_owned(),
            ]
        );
    }

    #[test]
    fn a_product_that_is_no_list_of_tables_is_refused() {
        for text in [
            "product = 1",
            "product = [1]",
            "[product]\nname = \"pen\"",
            "= 1",
        ] {
            assert_eq!(Catalogue::parse(text).unwrap_err().problems.len(), 1);
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Catalogue::read(Path::new("/no/such/catalogue.toml")).unwrap_err();
        assert!(error.to_string().contains("/no/such/catalogue.toml"));
    }
}
