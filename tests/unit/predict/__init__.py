"""``cortex_cdk.predict`` by itself: nothing is sent."""
