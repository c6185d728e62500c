"""Notifies an SNS topic of alarms."""

from __future__ import annotations

from aws_cdk import aws_cloudwatch as cloudwatch


def notify(topic_arn: str, *alarms: cloudwatch.Alarm) -> None:
    """Notify an SNS topic when alarms go off, and when they are over.

    Args:
        topic_arn: ARN of the topic. Its policy, and the policy of its key if it is encrypted, must allow
            ``cloudwatch.amazonaws.com`` to publish (CloudWatch user guide, "Notifying users on alarm changes").
        alarms: The alarms.
    """
    for alarm in alarms:
        resource = alarm.node.default_child
        assert isinstance(resource, cloudwatch.CfnAlarm)
        # aws_cloudwatch_actions would be imported at every synthesis, for this one line.
        resource.alarm_actions = resource.ok_actions = [topic_arn]
