"""Where models come from: evidence, cohorts, learners, experiments, promotion, and the bundle that is served."""
