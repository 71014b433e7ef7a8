// Package files opens, gives away and replaces the files that a configuration or a command names. A process that is root does so in
// folders that may be somebody else's: whoever may write a folder can put a link in the place of a file, and root would write
// to, cut off or give away what the link leads to.
//
// So root follows no link in the last component of a path, with two exceptions. A link to the process's own standard output or
// standard error is that, for any user, since a user may not open anew what root opened. And root follows a link of its own to
// a device or a pipe. Links among the folders of a path are followed, and so is every link by a process that is not root: it can do no
// more than its user may. A file with several names (hard links) is neither cut off nor given away.
//
// What is opened is changed by its descriptor, never once more by its path. On Linux no other process can come in between; on
// other systems what is at a path may change within the moment between a look and an act.
package files
