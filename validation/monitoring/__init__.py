"""Does a served model still fit its patients: inputs, predictions and calibration over time, in small numbers."""
