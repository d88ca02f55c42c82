//! An empty stand-in: the crate of this name is not needed to unpack sources.
