"""Who is told of alarms."""

from __future__ import annotations

from aws_cdk import aws_cloudwatch as cloudwatch


def tell(topic_arn: str, *alarms: cloudwatch.Alarm) -> None:
    """Have an SNS topic told when alarms go off, and when they are over.

    The topic's policy, and that of its key if it is encrypted, must allow ``cloudwatch.amazonaws.com`` to publish
    (CloudWatch user guide, "Notifying users on alarm changes").
    """
    for alarm in alarms:
        resource = alarm.node.default_child
        assert isinstance(resource, cloudwatch.CfnAlarm)
        # Not by aws_cloudwatch_actions: it would be imported for every synthesis, for this one line.
        resource.alarm_actions = resource.ok_actions = [topic_arn]
