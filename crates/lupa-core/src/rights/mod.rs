//! Who may do what with Python objects: the exposures of a sandbox, and what a filter does not let go.

pub(crate) mod allowed;
pub(crate) mod exposure;
pub(crate) mod restrict;
pub(crate) mod routine;
