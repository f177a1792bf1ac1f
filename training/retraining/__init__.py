"""Retraining: one unattended job from a source of patients to a served model, or to the reasons for keeping it."""
