"""The bundled playground as tasks, and the report on them."""
