//! The built-in signal packs, embedded from `packs/*.yaml`.
