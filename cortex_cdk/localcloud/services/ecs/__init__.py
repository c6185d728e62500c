"""Amazon ECS services that run: what moto's back end records, the scheduler makes true.

What flows through here, in order:

1. ``backend`` replaces moto's ECS back end: ``create_service`` and ``update_service`` turn into deployments
   (``service.Service``), ``run_task`` into tasks to be placed (``task.Task``).
2. ``scheduler`` looks at every service a few times a second and whenever it is woken: it asks
   ``rollout.decide`` (a pure function) which tasks to start and which to stop, within the minimum and
   maximum healthy percent, and does it through ``tasks.driver`` and the target groups of ``balancer``.
3. What happened is written back into the service: counts, events, rollout states, failed tasks, and the
   decision of the circuit breaker.

For CloudFormation: ``Service.deployments[0]["id"]`` right after create or update names the deployment to wait
for; ``Service.rollout_of(id)`` answers ``("IN_PROGRESS" | "COMPLETED" | "FAILED", reason)`` and goes on to do
so after the circuit breaker has rolled the service back to an earlier deployment.
"""
