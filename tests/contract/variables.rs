//! The variables of a program: those that its configuration looks up.

use std::cell::RefCell;
use std::collections::BTreeSet;

/// The names that `from_vars` looks up, sorted. Nothing is set, so its result is ignored.
pub(crate) fn variables_of<T, E>(
    from_vars: impl FnOnce(&dyn Fn(&str) -> Option<String>) -> Result<T, E>,
) -> BTreeSet<String> {
    let names = RefCell::default();
    let lookup = |name: &str| {
        BTreeSet::insert(&mut *names.borrow_mut(), name.to_owned());
        None
    };
    let _ = from_vars(&lookup);
    names.into_inner()
}
