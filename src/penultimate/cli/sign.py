"""The commands that sign a model with a key of one's own, and verify who signed one."""

from pathlib import Path
from typing import Annotated

import typer

from penultimate.cli.app import app, plain_errors
from penultimate.cli.predict import BundleArgument
from penultimate.cli.replacing import check_replaceable, is_bundle


@app.command(
    epilog="Example: penultimate sign --new-key key.pem; penultimate sign model.zip --key key.pem"
)
def sign(
    bundle: Annotated[
        Path | None,
        typer.Argument(help="A model, as penultimate fit writes it.", show_default=False),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            help="The private key: a PEM file, Ed25519 or on the curve P-256.", show_default=False
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Where to write it; by default it replaces the model.", show_default=False
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace another signature that is there already.")
    ] = False,
    new_key: Annotated[
        Path | None,
        typer.Option(
            help="Make a key instead: key.pem is the private one, to be kept secret, and "
            "key-public.pem is given to those who verify.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Sign a model, so that others can verify that it is yours and was not changed.

    Works offline, with a key of your own.
    """
    if (new_key is None) == (bundle is None):
        raise typer.BadParameter("pass either a model or --new-key.", param_hint="BUNDLE")
    if new_key is not None:
        if key is not None or out is not None or replace:
            raise typer.BadParameter("stands alone.", param_hint="--new-key")
        with plain_errors("no key was written"):
            from penultimate.bundle.signing import write_new_key

            public, fingerprint = write_new_key(new_key)
            print(f"Private key: {new_key}. Keep it secret: who has it can sign as you.")
            print(f"Public key: {public}. Give it to those who verify, together with")
            print(f"Fingerprint: {fingerprint}")
        return
    if key is None:
        raise typer.BadParameter(
            "is missing; penultimate sign --new-key key.pem makes one.", param_hint="--key"
        )
    with plain_errors("nothing was signed"):
        from penultimate.bundle import sign as sign_bundle

        assert bundle is not None
        if out is not None:
            check_replaceable(out, "--out", [key], is_bundle, "a saved model")
        signer = sign_bundle(bundle, key, out=out, replace=replace)
        print(f"Signed: {out or bundle}, by the key {signer}")


@app.command(epilog="Example: penultimate verify model.zip --key key-public.pem")
def verify(
    bundle: BundleArgument,
    key: Annotated[
        Path,
        typer.Option(help="The public key of the signer: a PEM file.", show_default=False),
    ],
) -> None:
    """Verify that a model is whole, and signed by the owner of a key. Ends with 1 if not."""
    with plain_errors("nothing was verified"):
        from penultimate.bundle import verify as verify_bundle

        print(f"Verified: {bundle} is whole, and signed by the key {verify_bundle(bundle, key)}")
