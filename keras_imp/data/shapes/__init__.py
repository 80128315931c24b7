"""Any size: shapes of a task, token budgets, resizing, dropped tokens."""
