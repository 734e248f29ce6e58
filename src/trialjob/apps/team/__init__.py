"""Who may use a store, and for how much: tokens, tenants, budgets, and a log of what was done."""
