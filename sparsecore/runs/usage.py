"""What `--help` says of the commands whose options are not those of one parser."""

from __future__ import annotations

SWEEP_USAGE = """\
usage: sparsecore sweep EXPERIMENT [--preset quick|small|paper] [--field value …]
                        [--stage study|tune] [--grid FIELD=A,B,C …] [--seeds N]
                        [--scheduler local|slurm|tcp://HOST:PORT] [--jobs N] [--retries N]
                        [--table FILE] [--out FOLDER] [--no-progress]
       sparsecore sweep notebooks/NAME.py [--parameter value …] [--grid …] [--seeds N]
                        [--scheduler …] [--jobs N] [--retries N] --out FOLDER [--no-progress]

Without --grid and --seeds: the runs behind the experiment's figures and tables, or, with --stage
tune, those that choose its hyper-parameters. With them: the preset with every combination of the
values given, and N seeds from --seed on. Finished runs are found, not repeated.

Runs are made in turn, or by workers, a process and a thread each:
  --jobs N                    so many on this machine
  --scheduler local           one a GPU of this machine, or one a core
  --scheduler tcp://HOST:PORT those of a Dask scheduler that runs there
  --scheduler slurm --jobs N  so many SLURM jobs
A run that fails does not stop the others. One whose worker is lost goes on from its last checkpoint
on another, --retries times (3). All machines must share SPARSECORE_HOME.

One row a run, its values and results, is printed in the end; --table writes it as CSV. --out writes
the tables of all runs, as `sparsecore reference` does. A notebook is executed once for each
combination, into a copy each.

experiments:"""

TRACK_USAGE = """\
Which words make which layers of a language model sparse? The text is read in windows; chi =
||v||2/||v||1 of the values of the layers (and, with --gradients, of the gradients of the loss) goes
to the mean of the word that is read and of the word that is predicted. The table is in the run
folder: word, frequency, layer, signal, role, chi, l1, count, surprisal.

  sparsecore track gpt2 --text my-text.txt
  sparsecore track ./my-model --text my-text.txt --layers '*.mlp.down_proj:input' --gradients
  sparsecore track EleutherAI/pythia-70m --revisions step1000,step10000,main --text wikitext-2"""

TRACK_EPILOG = """\
A run that was killed goes on with the same command, and a finished one is not repeated. Put
patterns in quotes: the shell has a * of its own."""
