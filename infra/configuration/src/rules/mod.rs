//! Rules across fields, which no schema can express. Each returns what is wrong, with the place in the file.

mod names;
mod nodes;
mod partition;
mod results;
mod runtime;

use crate::config::Config;

pub(crate) use partition::partition_of;

/// Everything that is wrong with a configuration that conforms to the schema.
pub(crate) fn faults(config: &Config) -> Vec<String> {
    let mut faults = partition::faults(config);
    faults.extend(results::faults(config));
    faults.extend(names::faults(config));
    faults.extend(nodes::faults(config));
    for (n, of_one) in config.runtimes.iter().map(runtime::faults).enumerate() {
        faults.extend(of_one.into_iter().map(|fault| format!("runtimes.{n}.{fault}")));
    }
    faults
}
