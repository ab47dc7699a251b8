//! Which variables a program reads: those that its configuration asks for.

use std::cell::RefCell;
use std::collections::BTreeSet;

/// The names that `from_vars` asks for, sorted. Nothing is set, so whatever it makes of that is of no interest.
pub(crate) fn asked<T, E>(
    from_vars: impl FnOnce(&dyn Fn(&str) -> Option<String>) -> Result<T, E>,
) -> BTreeSet<String> {
    let asked = RefCell::default();
    let lookup = |name: &str| {
        BTreeSet::insert(&mut *asked.borrow_mut(), name.to_owned());
        None
    };
    let _ = from_vars(&lookup);
    asked.into_inner()
}
