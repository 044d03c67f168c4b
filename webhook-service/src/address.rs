//! Which addresses belong to the public internet.
//!
//! Pure. Refused is what the registries of IANA for special purposes (RFC 6890 and its successors) do not
//! call globally reachable, multicast, and the addresses at which clouds serve their machines metadata
//! and credentials. An IPv4 address inside an IPv6 address is judged by itself where the network carries
//! it to IPv4 (mapped, NAT64); the forms that are out of use (6to4, Teredo, IPv4-compatible) are refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network: its first address and the bits that its addresses share.
type Network<A> = (A, u32);

const NOT_PUBLIC: [Network<Ipv4Addr>; 18] = [
    // "This network"; 0.0.0.0 reaches the own machine.
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    // Carrier-grade NAT; holds the metadata address of Alibaba Cloud.
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Azure's metadata and DNS, in the midst of public addresses.
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    // Link-local; 169.254.169.254 is the metadata address of most clouds.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    // Protocol assignments; holds the metadata address of Oracle Cloud.
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    // Relays of 6to4.
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    // Benchmarks.
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // AS112, which answers for private addresses.
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 175, 48, 0), 24),
    // Multicast.
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    // Reserved; holds the broadcast address.
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// All global unicast addresses; what is private, local or multicast lies outside.
const GLOBAL: Network<Ipv6Addr> = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

const NOT_PUBLIC_V6: [Network<Ipv6Addr>; 5] = [
    // Protocol assignments, Teredo among them.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    // 6to4.
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    // AS112.
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48),
    // Documentation.
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// The prefix behind which NAT64 puts IPv4 addresses (RFC 6052).
const NAT64: Network<Ipv6Addr> = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// Whether an address belongs to the public internet.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let inside = |(first, shared): &Network<Ipv4Addr>| {
        (address.to_bits() ^ first.to_bits()) >> (32 - shared) == 0
    };
    !NOT_PUBLIC.iter().any(inside)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let inside = |(first, shared): &Network<Ipv6Addr>| {
        (address.to_bits() ^ first.to_bits()) >> (128 - shared) == 0
    };
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    if inside(&NAT64) {
        let [.., a, b, c, d] = address.octets();
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    inside(&GLOBAL) && !NOT_PUBLIC_V6.iter().any(inside)
}

#[cfg(test)]
mod tests;
