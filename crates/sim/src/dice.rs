//! A small deterministic generator (SplitMix64; Steele, Lea and Flood 2014). A seed gives the same walk on every
//! machine and in every version of the toolchain.

/// A stream of random numbers that follows from a seed.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        scramble(self.0)
    }

    /// Returns a number from 0 to `bound - 1`. `bound` must be at least 1.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        (((self.roll() >> 32) * u64::from(bound)) >> 32) as u32
    }

    /// Returns `true` with a probability of `percent` in a hundred.
    pub(crate) fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u32) as usize].clone()
    }
}

/// Returns a hash of two numbers: a random number that follows from a seed and an index, without a stream.
pub(crate) fn mix(left: u64, right: u64) -> u64 {
    scramble(left ^ scramble(right.wrapping_add(0x9e37_79b9_7f4a_7c15)))
}

fn scramble(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
