//! Money never loses a cent.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use base_domains::{Money, MoneyError, Quantity, Total};
use proptest::prelude::*;

/// Through the wire number and its JSON text, as an event travels.
fn over_the_wire(price: Money) -> Result<Money, MoneyError> {
    let text = serde_json::to_string(&price.to_wire()).unwrap();
    Money::from_wire(serde_json::from_str(&text).unwrap())
}

#[test]
fn every_small_amount_and_every_amount_near_the_maximum_survives_the_wire() {
    let max = Money::MAX.minor();
    for minor in (0..=300_000).chain(max - 300_000..=max) {
        let price = Money::from_minor(minor).unwrap();
        assert_eq!(over_the_wire(price), Ok(price));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn any_amount_survives_the_wire(minor in 0..=Money::MAX.minor()) {
        let price = Money::from_minor(minor).unwrap();
        prop_assert_eq!(over_the_wire(price), Ok(price));
    }

    #[test]
    fn any_amount_written_with_two_decimals_is_read_to_the_cent(minor in 0..=Money::MAX.minor()) {
        let price = Money::from_minor(minor).unwrap();
        let text = price.to_string();
        prop_assert_eq!(Money::from_wire(serde_json::from_str(&text).unwrap()), Ok(price));
    }

    #[test]
    fn a_third_decimal_is_refused(minor in 0..Money::MAX.minor(), third in 1..=9_u8) {
        let text = format!("{}{third}", Money::from_minor(minor).unwrap());
        let value: f64 = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(Money::from_wire(value), Err(MoneyError::TooManyDecimals));
    }

    #[test]
    fn no_wire_number_panics(bits in any::<u64>()) {
        if let Ok(price) = Money::from_wire(f64::from_bits(bits)) {
            prop_assert!((0..=Money::MAX.minor()).contains(&price.minor()));
        }
    }
}

#[test]
fn wire_numbers_are_read_as_their_sender_wrote_them() {
    let read = |text: &str| Money::from_wire(serde_json::from_str(text).unwrap()).map(Money::minor);
    let cases = [
        ("0", Ok(0)),
        ("-0.0", Ok(0)),
        ("0.01", Ok(1)),
        ("0.29", Ok(29)),
        ("1.1", Ok(110)),
        ("10000", Ok(1_000_000)),
        ("10000.0", Ok(1_000_000)),
        ("1.0E7", Ok(1_000_000_000)),
        ("1000000000.00", Ok(100_000_000_000)),
        ("1000000000.01", Err(MoneyError::TooLarge)),
        ("1e300", Err(MoneyError::TooLarge)),
        ("-0.01", Err(MoneyError::Negative)),
        ("0.001", Err(MoneyError::TooManyDecimals)),
        ("1e-300", Err(MoneyError::TooManyDecimals)),
        ("0.30000000000000004", Err(MoneyError::TooManyDecimals)),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text), expected, "{text}");
    }
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(Money::from_wire(value), Err(MoneyError::NotANumber));
    }
}

#[test]
fn minor_units_have_bounds() {
    assert_eq!(Money::from_minor(-1), Err(MoneyError::Negative));
    assert_eq!(Money::from_minor(Money::MAX.minor()), Ok(Money::MAX));
    assert_eq!(
        Money::from_minor(Money::MAX.minor() + 1),
        Err(MoneyError::TooLarge)
    );
    assert_eq!(
        MoneyError::TooLarge.to_string(),
        "must not be more than 1000000000.00"
    );
}

#[test]
fn the_dearest_order_fits() {
    let line = Money::MAX.times(Quantity::MAX);
    let total: Total = std::iter::repeat_n(line, base_domains::Order::MAX_LINES).sum();
    assert_eq!(total.minor(), 5_000_000_000_000_000_000);
}

#[test]
fn a_total_is_kept_in_minor_units_and_told_in_major_ones() {
    let total = Total::from_minor(5_000_029).unwrap();
    assert_eq!((total.minor(), total.to_wire()), (5_000_029, 50000.29));
    assert_eq!(Total::from_minor(-1), Err(MoneyError::Negative));
}

#[test]
fn amounts_are_shown_with_two_decimals() {
    let shown = |minor| Money::from_minor(minor).unwrap().to_string();
    assert_eq!(
        [shown(0), shown(5), shown(1_000_000)],
        ["0.00", "0.05", "10000.00"]
    );
    let total = Money::from_minor(1_000_000)
        .unwrap()
        .times(Quantity::new(5).unwrap());
    assert_eq!(total.to_string(), "50000.00");
}

#[test]
fn a_quantity_is_from_one_to_a_million() {
    assert_eq!(Quantity::new(1).map(Quantity::get), Ok(1));
    assert_eq!(Quantity::new(1_000_000), Ok(Quantity::MAX));
    for refused in [
        i64::MIN,
        -1,
        0,
        1_000_001,
        i64::from(u32::MAX) + 2,
        i64::MAX,
    ] {
        let error = Quantity::new(refused).unwrap_err();
        assert_eq!(error.to_string(), "must be from 1 to 1000000", "{refused}");
    }
}
