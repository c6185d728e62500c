"""Amazon ECS: services whose tasks run on this machine.

A service passes these modules in order; read ``scheduler`` first:

1. ``backend`` replaces moto's ECS back end, and ``responses`` answers actions that moto lacks. ``create_service`` and
   ``update_service`` make deployments of a ``service.Service``, ``run_task`` makes ``task.Task`` objects.
2. ``scheduler`` looks at all services a few times a second. ``rollout`` decides which tasks to start and to stop
within the
   minimum and maximum healthy percent. ``circuit_breaker`` decides whether a deployment has failed;
   ``deployment_alarms`` fails a deployment on alarms.
3. ``instances`` places tasks on simulated instances, ``fleet`` starts and ends instances, ``free_capacity`` counts the
   room. ``task_start`` runs a task's container, ``target_registration`` makes the container a target of the load
   balancer.
4. The scheduler writes the outcome into the service: counts, events, rollout states, failed tasks.

``resources`` has the resource types. CloudFormation waits for the deployment ``Service.deployments[0]["id"]`` right
after create or update. ``Service.rollout_of(id)`` tells its state and reason, even after a roll-back to an earlier
deployment.

May import: ``containers``, ``cloudformation.resource``, and the services ``autoscaling``, ``cloudwatch``, ``ecr``,
``elbv2``.
"""
