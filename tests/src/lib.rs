//! Tests of the whole through its public faces.
