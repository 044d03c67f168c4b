//! The home partition of an order: where Kafka's Java clients put a record with its id as the key.

use crate::order_id::OrderId;

/// The partition, of `partitions`, that holds the life of `order`.
///
/// It equals what Java's default partitioner and librdkafka's `murmur2_random` choose for the id's text as
/// key. A topic has at least one partition; a smaller count is read as 1.
#[must_use]
pub fn home_partition(order: OrderId, partitions: i32) -> i32 {
    to_positive(murmur2(order.to_string().as_bytes())) % partitions.max(1)
}

/// Kafka's `Utils.toPositive`: it drops the sign bit, which is not the absolute value.
const fn to_positive(hash: i32) -> i32 {
    hash & i32::MAX
}

/// Kafka's `Utils.murmur2`: 32-bit `MurmurHash2` with Kafka's seed.
fn murmur2(data: &[u8]) -> i32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;

    // A key is far shorter than 2^32 bytes; Java's length is an int as well.
    #[expect(clippy::cast_possible_truncation, reason = "as in Java")]
    let mut hash = SEED ^ data.len() as u32;
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        let rest = tail
            .iter()
            .rev()
            .fold(0, |rest, byte| rest << 8 | u32::from(*byte));
        hash = (hash ^ rest).wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^= hash >> 15;
    hash.cast_signed()
}

#[cfg(test)]
mod tests {
    use super::{murmur2, to_positive};

    #[test]
    fn hashes_equal_those_in_kafkas_own_tests() {
        let golden: [(&[u8], i32); 6] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (
                b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            (b"abc", 479_470_107),
        ];
        for (key, hash) in golden {
            assert_eq!(murmur2(key), hash, "{key:?}");
        }
    }

    #[test]
    fn the_sign_bit_is_dropped() {
        assert_eq!(to_positive(-973_932_308), 1_173_551_340);
        assert_eq!(to_positive(i32::MIN), 0);
        assert_eq!(to_positive(479_470_107), 479_470_107);
    }
}
