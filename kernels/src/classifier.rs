//! Launchers of `classifier.cu`.
