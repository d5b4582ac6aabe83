// Objects: -object iommufd, a host whose devices can be assigned.
import { oneOf, OptionError, OptionReader, str, type GivenOption, type ParsedOptions } from "../../object/index.ts";
import { TRACKER_POLICIES } from "../../vfio/index.ts";
import type { ConfigDraft } from "./draft.ts";
import { checkId } from "./machine.ts";
import { partsOf, refuseParameters, type QemuOption } from "./option.ts";

const SOFTWARE = "software:";
const NO_KERNEL =
  "an iommufd object of this machine's kernel is not implemented yet; host=software:FILE takes a host description";

const FOREIGN_TYPES: Readonly<Record<string, string>> = {
  "memory-backend-ram": "RAM is anonymous memory of this process; use -m",
  "memory-backend-file": "RAM is anonymous memory of this process; use -m",
  "memory-backend-memfd": "RAM is anonymous memory of this process; use -m",
  "memory-backend-shm": "RAM is anonymous memory of this process; use -m",
  "rng-random": "the host's random bytes are the only source; leave it out",
  "rng-builtin": "the host's random bytes are the only source; leave it out",
  "rng-egd": "the host's random bytes are the only source; leave it out",
  iothread: "devices work on the machine's own thread; leave it out",
  secret: "nothing here takes secrets; leave it out",
};

const REFUSED: Readonly<Record<string, string>> = { fd: NO_KERNEL };

function applyObject(draft: ConfigDraft, given: GivenOption): void {
  const parsed = partsOf(given);
  const reader = new OptionReader(parsed);
  const type = reader.required("qom-type", str);
  if (type === "help" || parsed.helpWanted) {
    draft.information = "List of user creatable objects:\n  iommufd\n";
    return;
  }
  if (type !== "iommufd") throw foreignType(type, parsed);
  refuseParameters(parsed, REFUSED);
  const id = reader.optional("id", str);
  if (id === undefined) throw new OptionError("missingParameter", "Parameter 'id' is missing", given);
  checkId(id, parsed);
  if (draft.iommufds.some((other) => other.id === id)) {
    throw new OptionError("duplicate", `attempt to add duplicate property '${id}' to object (type 'container')`, given);
  }
  const host = reader.optional("host", str);
  const policy = reader.orElse("x-dirty-policy", oneOf("VfioDirtyPolicy", TRACKER_POLICIES), "mixed");
  reader.end();
  if (host === undefined || !host.startsWith(SOFTWARE) || host === SOFTWARE) {
    throw new OptionError("unsupported", `iommufd "${id}": ${NO_KERNEL}`, given);
  }
  const description = { subject: given.subject, path: host.slice(SOFTWARE.length) };
  draft.iommufds.push({ id, description, policy });
}

function foreignType(type: string, { subject }: ParsedOptions): OptionError {
  const reason = Object.hasOwn(FOREIGN_TYPES, type) ? FOREIGN_TYPES[type] : undefined;
  if (reason !== undefined) {
    return new OptionError("unsupported", `Object type '${type}' is not supported: ${reason}`, { subject });
  }
  return new OptionError("badValue", `invalid object type: ${type}; iommufd is there`, { subject });
}

const object: QemuOption = {
  name: "object",
  section: "Assigned devices",
  argument: { impliedKey: "qom-type" },
  synopsis: "iommufd,id=ID,host=software:FILE[,x-dirty-policy=POLICY]",
  description:
    "A host whose devices -device vfio-pci assigns, from a description. POLICY: mixed, all-or-nothing, iommu-only, device-only",
  example: "-object iommufd,id=f0,host=software:host.json",
  differs: "`iommufd` only, with a software host (QEMU: the kernel's)",
  refusedParameters: REFUSED,
  apply: applyObject,
};

export const objectOptions: readonly QemuOption[] = [object];
