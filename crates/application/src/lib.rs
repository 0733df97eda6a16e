//! Applications: connected systems, who they are and what they may send.
//!
//! Documents are parsed and validated here, with the place of every mistake, and become one model.
//! Nobody is authenticated here, and no file is read.

pub mod authentication;
