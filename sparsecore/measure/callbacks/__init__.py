"""The tracker inside trainers of other libraries: tables while somebody's own training runs."""
