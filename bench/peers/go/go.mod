module bench

go 1.19

require github.com/alexedwards/scs/v2 v2.8.0
