#!/usr/bin/env node
import '../dist/cli/wmpush.js';
