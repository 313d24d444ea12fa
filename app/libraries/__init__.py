"""Libraries: people who may be recognised, enrolled by pictures and searched by faces."""
