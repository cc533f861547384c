package org.fhirfacade.hapi;

import static java.nio.charset.StandardCharsets.UTF_8;

import ca.uhn.fhir.jpa.model.config.PartitionSettings;
import org.hl7.fhir.instance.model.api.IBase;
import org.hl7.fhir.r4.model.Reference;
import org.hl7.fhir.r4.model.UriType;

/**
 * Indexes an address, of a resource or of anything else, by its beginning when it is very long (a {@code data:} URL).
 * No search is about so many characters; the record keeps all of them.
 *
 * <p>HAPI alone refuses the record.
 */
class ShortAddresses extends QuantityEnds {

  ShortAddresses(PartitionSettings partitions) {
    super(partitions);
  }

  @Override
  public IValueExtractor getPathValueExtractor(IBase resource, String path) {
    IValueExtractor values = super.getPathValueExtractor(resource, path);
    return () -> values.get().stream().map(ShortAddresses::indexed).toList();
  }

  private static IBase indexed(IBase value) {
    if (value instanceof UriType address && isLong(address.getValue())) {
      UriType beginning = address.copy();
      beginning.setValue(beginning(address.getValue()));
      return beginning;
    }
    if (value instanceof Reference reference && isLong(reference.getReference())) {
      return new Reference(beginning(reference.getReference()));
    }
    return value;
  }

  private static boolean isLong(String address) {
    return address != null && address.getBytes(UTF_8).length > WideColumns.ADDRESS;
  }

  /** A character has at most four bytes. */
  private static String beginning(String address) {
    boolean ascii = address.chars().allMatch(each -> each < 0x80);
    int characters = ascii ? WideColumns.ADDRESS : WideColumns.ADDRESS / 4;
    return address.substring(0, address.offsetByCodePoints(0, characters));
  }
}
