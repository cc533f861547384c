"""The command and its groups; each command is a function of one file."""

from __future__ import annotations

import typer

from fhir_facade.cli import archive, clients, data, demo, keys, serve, settings, simulator, tokens, users

app = typer.Typer(
    name="fhir-facade",
    help="A FHIR R4 facade server with SMART on FHIR sign-in, wearable sync, health scores and alerts.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("serve")(serve.serve)
app.command("demo")(demo.demo)
app.command("token")(tokens.token)
app.command("import")(data.import_files)
app.command("backup")(archive.backup_command)
app.command("restore")(archive.restore_command)
app.command("settings")(settings.show)
app.command("simulator")(simulator.simulator)
app.add_typer(users.app, name="user", help="Accounts that can sign in.")
app.add_typer(clients.app, name="client", help="Apps that may ask for access.")
app.add_typer(keys.app, name="keys", help="Keys that seal vendor tokens, page links and signing keys.")
