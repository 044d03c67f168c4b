//! Settings from an environment.

use std::io::Write as _;

use service_runtime::config::ExposeSecret as _;

use super::*;

fn problems(environment: &[(&str, &str)]) -> Vec<String> {
    match Config::load(None, environment.iter().copied()) {
        Ok(_) => Vec::new(),
        Err(error) => error.problems().to_vec(),
    }
}

#[test]
fn nothing_has_to_be_set() {
    let (config, _) = Config::load(None, [("", ""); 0]).unwrap();
    assert_eq!(config.common.http.port, 8081);
    assert_eq!(config.participant.group, "stock");
    assert_eq!(config.common.kafka.client_id, "stock-service");
    assert_eq!(config.common.database.url.expose_secret(), DATABASE_URL);
    assert_eq!(config.unknown_product, UnknownProduct::Reject);
    assert_eq!(Ok(config.catalogue), Catalogue::built_in());
}

#[test]
fn a_catalogue_and_a_default_stock_can_be_set() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "[[product]]\nname = \"pen\"\navailable = 3").unwrap();
    let path = file.path().to_str().unwrap();
    let environment = [("STOCK_CATALOGUE", path), ("STOCK_UNKNOWN_PRODUCT", "7")];
    let (config, _) = Config::load(None, environment).unwrap();
    assert_eq!(config.unknown_product, UnknownProduct::Create(7));
    assert_eq!(config.catalogue.products().len(), 1);
    assert_eq!(config.catalogue.products()["pen"], 3);
}

#[test]
fn every_problem_of_settings_and_catalogue_is_told_at_once() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "[[product]]\nname = \"\"\navailable = -3").unwrap();
    let path = file.path().to_str().unwrap();
    let environment = [("STOCK_CATALOGUE", path), ("STOCK_UNKNOWN_PRODUCT", "yes")];
    let problems = problems(&environment);
    assert_eq!(problems.len(), 3, "{problems:?}");
    let about = |name: &str| {
        problems
            .iter()
            .filter(|text| text.starts_with(name))
            .count()
    };
    assert_eq!(about("STOCK_CATALOGUE: product[0]."), 2);
    assert_eq!(about("STOCK_UNKNOWN_PRODUCT"), 1);
}
