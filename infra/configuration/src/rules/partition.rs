//! What depends on the AWS partition of the region.

use crate::config::Config;

/// SNS accepts larger messages than 256 KiB in the commercial regions only (SNS quotas; the documents for China say 256 KB).
const MAX_MESSAGE_BYTES_IN_CHINA: u32 = 262_144;

/// The partition that a region belongs to.
pub(crate) fn partition_of(region: &str) -> &'static str {
    match region {
        china if china.starts_with("cn-") => "aws-cn",
        government if government.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

pub(super) fn faults(config: &Config) -> Vec<String> {
    let Config { region, partition, cluster, .. } = config;
    let actual = partition_of(region);
    let mut faults = Vec::new();
    if partition.as_ref().is_some_and(|partition| partition != actual) {
        faults.push(format!("partition: {region} is in {actual}"));
    }
    if actual != "aws-cn" {
        return faults;
    }
    // EKS Auto Mode has its own Karpenter, whatever `install.karpenter` says.
    let karpenter = cluster.install.karpenter && cluster.nodes != "auto";
    if (cluster.install.keda || karpenter) && cluster.charts.is_none() {
        let text = "GitHub and ECR Public are not reached from China; `infra/operate mirror` fills one";
        faults.push(format!("cluster.charts: {text}"));
    }
    if config.api.message_bytes > MAX_MESSAGE_BYTES_IN_CHINA {
        faults.push(format!("api.messageBytes: SNS in China accepts at most {MAX_MESSAGE_BYTES_IN_CHINA}"));
    }
    faults
}
