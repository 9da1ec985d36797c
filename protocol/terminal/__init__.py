"""What the command lines of both programs share.

program.py   commands that are imported when they are asked for; errors as one line; exit codes
person.py    asking the person: secrets without echo, yes or no
screen.py    printing: nothing that others wrote may steer a terminal
orders.py    orders as tables
options.py   options that many commands have
tables.py    calm tables
talk.py      one command to the running program, and its outcome
"""
