// The papers of a package: a CycloneDX bill of materials, and the licences of what is inside.
import { createHash } from 'node:crypto';

const purl = (name, version) => `pkg:npm/${name.replace('@', '%40')}@${version}`;

/** sha512-… of the lockfile as CycloneDX writes it. */
function hashesOf(integrity) {
  const match = /^sha512-(.+)$/.exec(integrity ?? '');
  return match ? [{ alg: 'SHA-512', content: Buffer.from(match[1], 'base64').toString('hex') }] : [];
}

/** CycloneDX 1.6. No time and no random number: the same package has the same bill. */
export function billOfMaterials(product, packages) {
  const components = packages.map(({ name, version, license, integrity }) => ({
    type: 'library',
    'bom-ref': purl(name, version),
    name,
    version,
    purl: purl(name, version),
    licenses: [{ license: { id: license } }],
    hashes: hashesOf(integrity),
  }));
  const ref = purl(product.name, product.version);
  const digest = createHash('sha256')
    .update(JSON.stringify([ref, components]))
    .digest('hex');
  const uuid = `${digest.slice(0, 8)}-${digest.slice(8, 12)}-5${digest.slice(13, 16)}-a${digest.slice(17, 20)}-${digest.slice(20, 32)}`;
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuid}`,
    version: 1,
    metadata: {
      component: {
        type: 'application',
        'bom-ref': ref,
        name: product.name,
        version: product.version,
        purl: ref,
        licenses: [{ license: { id: product.license } }],
      },
    },
    components,
    dependencies: [{ ref, dependsOn: components.map((component) => component['bom-ref']) }],
  };
}

/** One text with every licence; packages with the same text share it. */
export function licenceList(packages) {
  const groups = new Map();
  for (const { name, version, license, text } of packages) {
    const key = text ?? `${license} (the package has no licence file; the text is that of SPDX ${license})`;
    groups.set(key, [...(groups.get(key) ?? []), `${name} ${version} (${license})`]);
  }
  const rule = '-'.repeat(80);
  const parts = [...groups].map(([text, names]) => `${names.join('\n')}\n\n${text}\n`);
  return ['This app contains code of the following packages.\n', ...parts].join(`\n${rule}\n`);
}
