"""Schedules: what a ScheduleExpression means, when a rule fires, and the firing itself."""
