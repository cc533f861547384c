package org.fhirfacade.hapi;

import ca.uhn.fhir.jpa.term.api.ITermCodeSystemStorageSvc;
import ca.uhn.fhir.jpa.term.api.ITermConceptMappingSvc;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.Set;
import org.springframework.beans.factory.config.BeanPostProcessor;
import org.springframework.stereotype.Component;
import org.springframework.util.ClassUtils;

/**
 * Keeps a CodeSystem and a ConceptMap as a record like any other.
 *
 * <p>HAPI alone copies their codes into tables of its own, which nobody asks here, and refuses what does not fit there:
 * a second one of the same address and version, a group without a source. The setting {@code pre_expand_value_sets}
 * does the same for a ValueSet.
 */
@Component
class PlainRecords implements BeanPostProcessor {

  private static final Set<String> COPYING =
      Set.of("storeNewCodeSystemVersionIfNeeded", "storeTermConceptMapAndChildren");

  @Override
  public Object postProcessAfterInitialization(Object bean, String name) {
    boolean copies = bean instanceof ITermCodeSystemStorageSvc || bean instanceof ITermConceptMappingSvc;
    return copies ? plain(bean) : bean;
  }

  private static Object plain(Object service) {
    return Proxy.newProxyInstance(
        PlainRecords.class.getClassLoader(),
        ClassUtils.getAllInterfaces(service),
        (proxy, method, arguments) -> called(service, method, arguments));
  }

  private static Object called(Object service, Method method, Object[] arguments) throws Throwable {
    if (COPYING.contains(method.getName())) {
      return null;
    }
    try {
      return method.invoke(service, arguments);
    } catch (InvocationTargetException e) {
      throw e.getCause();
    }
  }
}
