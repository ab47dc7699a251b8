"""
moto's server (EC2, IAM, SSM, SQS), with what Karpenter needs and moto lacks. A process of its own: `moto_server.py PORT PARAMETER=IMAGE…`
makes, for each of the parameters by which AWS publishes the ids of images, the image and the parameter.
"""

import os
import sys

# Thousands of images that nobody asks for.
os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"

from moto.core.utils import utcnow  # noqa: E402
from moto.ec2.models import ec2_backends  # noqa: E402
from moto.ec2.models.amis import Ami  # noqa: E402
from moto.ec2.models.launch_templates import LaunchTemplateBackend  # noqa: E402
from moto.ec2.utils import random_ami_id  # noqa: E402
from moto.server import main  # noqa: E402
from moto.ssm.models import Parameter, ssm_backends  # noqa: E402

# Of moto's own, and of the check.
ACCOUNT, REGION = "123456789012", "us-east-1"


def publish(parameter: str, name: str) -> None:
    """moto refuses to put parameters whose names are reserved for AWS."""
    ec2, ssm = ec2_backends[ACCOUNT][REGION], ssm_backends[ACCOUNT][REGION]
    image = Ami(ec2, random_ami_id(), name=name, architecture="x86_64", virtualization_type="hvm", root_device_name="/dev/xvda")
    ec2.amis[image.id] = image
    ssm._parameters[parameter].append(
        Parameter(
            account_id=ACCOUNT, name=parameter, value=image.id, parameter_type="String", description=None, allowed_pattern=None,
            keyid=None, last_modified_date=utcnow(), version=1, data_type="text",
        )
    )


def keep_security_groups() -> None:
    """moto's fleets take no security groups from a launch template. An instance without them has drifted for Karpenter."""
    create = LaunchTemplateBackend.create_launch_template

    def create_with_groups(self, name, description, template_data, tag_spec):
        interfaces = template_data.get("NetworkInterfaces", [])
        template_data["GroupSet"] = template_data.get("SecurityGroupIds") or [group for nic in interfaces for group in nic.get("Groups", [])]
        return create(self, name, description, template_data, tag_spec)

    LaunchTemplateBackend.create_launch_template = create_with_groups


if __name__ == "__main__":
    port, *published = sys.argv[1:]
    keep_security_groups()
    for pair in published:
        publish(*pair.split("="))
    main(["--host", "127.0.0.1", "--port", port])
