package cli

import (
	"errors"
	"os"
)

// reload reads the configuration and all that it names anew, and then puts it in force.
// If anything in it is wrong the old one stays, as a whole.
func (p *process) reload() {
	p.log.Info("Reloading config.")
	if err := p.tryReload(); err != nil {
		logError(p.log.Logger, err)
		p.log.Error("The configuration was not reloaded: what was in force stays in force.")
	}
}

func (p *process) tryReload() error {
	cfg, err := configure(p.flags)
	if err != nil {
		return err
	}
	to, err := p.log.Open(cfg.Log)
	if err != nil {
		return err
	}
	if err := p.server.Reload(cfg); err != nil {
		return errors.Join(err, to.Close())
	}
	return p.log.Use(to)
}

// rotate opens the log's file anew, for the program that gave it another name.
func (p *process) rotate() {
	if err := p.log.Reopen(); err != nil {
		p.log.Error("Rotate the log: " + err.Error())
	}
	if err := p.server.ReopenAudit(); err != nil {
		p.log.Error("Rotate the log: " + err.Error())
	}
}

// save is what SIGUSR1 asks for.
func (p *process) save() {
	switch path, err := p.server.Save(); {
	case err != nil:
		p.log.Error("Save: " + err.Error())
	case path == "":
		p.log.Info("There is nothing to save: persistence is off.")
	default:
		p.log.Info("Everything that is stored was forced to the disk: " + path)
	}
}

// printTree prints the subscriptions to standard output, as Mosquitto does.
func (p *process) printTree() {
	if err := p.server.PrintSubscriptions(os.Stdout); err != nil {
		p.log.Warn("Print the subscriptions: " + err.Error())
	}
}
