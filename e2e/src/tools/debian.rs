//! Debian.
