//! Tables of addresses, and what holds for all of them.

use proptest::prelude::*;

use super::*;

fn public(text: &str) -> bool {
    is_public(text.parse().unwrap())
}

#[test]
fn addresses_of_the_internet_are_public() {
    for text in [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "168.63.129.15",
        "168.63.129.17",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2606:4700:4700::1111",
        "2a00:1450:4001:81b::200e",
        "2001:200::1",
        "3ffe::1",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
    ] {
        assert!(public(text), "{text}");
    }
}

#[test]
fn all_others_are_not() {
    for text in [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.255",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.31.196.1",
        "192.88.99.1",
        "192.168.1.1",
        "192.175.48.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        // IPv6: unspecified, loopback, IPv4-compatible, local, site-local, unique local, multicast.
        "::",
        "::1",
        "::8.8.8.8",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "ff0e::1",
        // Discard-only, protocol assignments, Teredo, benchmarks, ORCHID, documentation, 6to4, SRv6.
        "100::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:db8::1",
        "2620:4f:8000::1",
        "3fff:fff::1",
        "2002:7f00:1::",
        "2002:808:808::1",
        "5f00::1",
        "4000::1",
        // IPv4 within: mapped, NAT64 of the well-known and of the local prefix.
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:10.1.2.3",
        "64:ff9b::127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::8.8.8.8",
        "64:ff9b:0:0:1::8.8.8.8",
    ] {
        assert!(!public(text), "{text}");
    }
}

/// What the standard library knows of an address.
fn is_special(address: Ipv4Addr) -> bool {
    address.is_unspecified()
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
}

/// Within a network that is not public, anywhere.
fn special() -> impl Strategy<Value = Ipv4Addr> {
    let networks = prop::sample::select(NOT_PUBLIC.to_vec());
    (networks, any::<u32>()).prop_map(|((first, shared), host)| {
        let host = host.checked_shr(shared).unwrap_or_default();
        Ipv4Addr::from_bits(first.to_bits() | host)
    })
}

proptest! {
    #[test]
    fn no_address_of_a_special_network_is_public(address in special()) {
        prop_assert!(!is_public(address.into()));
    }

    #[test]
    fn what_the_standard_library_calls_special_is_not_public(bits in any::<u32>()) {
        let address = Ipv4Addr::from_bits(bits);
        prop_assert!(!(is_special(address) && is_public(address.into())));
    }

    #[test]
    fn an_embedded_address_is_judged_as_it_is_outside(
        address in prop_oneof![special(), any::<u32>().prop_map(Ipv4Addr::from_bits)],
    ) {
        let outside = is_public(address.into());
        let nat64 = Ipv6Addr::from_bits(NAT64.0.to_bits() | u128::from(address.to_bits()));
        prop_assert_eq!(is_public(address.to_ipv6_mapped().into()), outside);
        prop_assert_eq!(is_public(nat64.into()), outside);
        // In no use any more.
        prop_assert!(!is_public(address.to_ipv6_compatible().into()));
    }

    #[test]
    fn what_is_public_is_global_unicast(bits in any::<u128>()) {
        let address = Ipv6Addr::from_bits(bits);
        let global = bits >> 125 == 1;
        let plain = !address.is_loopback() && !address.is_unspecified()
            && !address.is_multicast() && !address.is_unique_local()
            && !address.is_unicast_link_local();
        prop_assert!(!is_public(address.into()) || (global && plain));
    }
}
