//! base-domains
