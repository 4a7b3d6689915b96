import { Bell, BookOpen, Bot, Braces, Clock, Contact, Database, Eye, File, FileInput, Filter, Gauge, GitBranch, GitMerge, Globe, Hourglass, Mail, MessageCircle, Network, OctagonX, Pencil, Play, Plug, Puzzle, Repeat, Reply, ScanText, ScrollText, Search, Shuffle, Signpost, Sparkles, Split, SquareTerminal, Telescope, UserCheck, Webhook, Workflow, Wrench, type LucideIcon } from 'lucide-react'

/** The icons that kinds name; one that is not here gets a puzzle piece. */
const known: Record<string, LucideIcon> = {
  bell: Bell,
  'book-open': BookOpen,
  bot: Bot,
  braces: Braces,
  clock: Clock,
  database: Database,
  contact: Contact,
  eye: Eye,
  file: File,
  'file-input': FileInput,
  filter: Filter,
  gauge: Gauge,
  'git-branch': GitBranch,
  'git-merge': GitMerge,
  globe: Globe,
  hourglass: Hourglass,
  mail: Mail,
  'message-circle': MessageCircle,
  network: Network,
  'octagon-x': OctagonX,
  pencil: Pencil,
  play: Play,
  plug: Plug,
  repeat: Repeat,
  reply: Reply,
  'scan-text': ScanText,
  'scroll-text': ScrollText,
  search: Search,
  shuffle: Shuffle,
  signpost: Signpost,
  sparkles: Sparkles,
  split: Split,
  'square-terminal': SquareTerminal,
  telescope: Telescope,
  'user-check': UserCheck,
  webhook: Webhook,
  workflow: Workflow,
  wrench: Wrench,
}

export function iconOf(name: string | undefined): LucideIcon {
  return known[name ?? ''] ?? Puzzle
}
