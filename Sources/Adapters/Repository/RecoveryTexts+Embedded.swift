// SPDX-License-Identifier: Apache-2.0
// Placeholder until the texts are in place.
let recoverInstructions = "see docs/recovery-without-salvor.md\n"
let recoverScript = "#!/bin/sh\nexit 1\n"
